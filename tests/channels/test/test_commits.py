"""Callbacks of on_commit, in the transaction of a test case."""

from unittest import mock

import pytest
from django.db import transaction

from channels.test.commits import run_callbacks
from tests.channels.test.cases import in_transaction

pytestmark = pytest.mark.usefixtures("database")


def test_callbacks_of_the_test_run() -> None:
    """In order, once, and those that a callback registers as well."""
    calls: list[str] = []

    def test() -> None:
        transaction.on_commit(lambda: transaction.on_commit(lambda: calls.append("second")))
        transaction.on_commit(lambda: calls.append("first"))
        assert calls == []
        run_callbacks()
        run_callbacks()
        assert calls == ["first", "second"]

    in_transaction(test)


def test_callbacks_wait_for_the_code_s_own_transaction() -> None:
    """What is registered within ``atomic`` runs behind it, and not at all if it is rolled back."""
    kept, lost = mock.Mock(), mock.Mock()

    def test() -> None:
        with transaction.atomic():
            transaction.on_commit(kept)
            run_callbacks()
            kept.assert_not_called()
        with transaction.atomic():
            transaction.on_commit(lost)
            transaction.set_rollback(True)
        run_callbacks()

    in_transaction(test)
    kept.assert_called_once_with()
    lost.assert_not_called()


def test_what_a_callback_raises_is_raised() -> None:
    """A robust callback too: in a test its error is to be seen."""

    def test() -> None:
        transaction.on_commit(mock.Mock(side_effect=KeyError("robust")), robust=True)
        with pytest.raises(KeyError, match="robust"):
            run_callbacks()

    in_transaction(test)


def test_outside_of_a_test_case_nothing_is_touched() -> None:
    """A transaction that is somebody's own commits by itself."""
    callback = mock.Mock()
    with transaction.atomic():
        transaction.on_commit(callback)
        run_callbacks()
        callback.assert_not_called()
    callback.assert_called_once_with()
