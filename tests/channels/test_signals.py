import pytest
from django.dispatch import Signal

from channels import signals


@pytest.mark.parametrize("name", ["consumer_started", "consumer_finished", "worker_ready", "worker_process_ready"])
def test_signal_reaches_its_receivers(name: str) -> None:
    """Every signal of 1.x is there and carries sender and keywords."""
    signal = getattr(signals, name)
    assert isinstance(signal, Signal)
    seen = []

    def receiver(sender: object, **kwargs: object) -> None:
        seen.append((sender, kwargs["environ"]))

    signal.connect(receiver)
    try:
        signal.send(sender=Signal, environ={})
    finally:
        signal.disconnect(receiver)
    assert seen == [(Signal, {})]
