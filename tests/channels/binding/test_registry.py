from channels.binding.registry import Registry


class Binding:
    """Counts how often it is registered."""

    def __init__(self) -> None:
        self.registered = 0

    def register(self) -> None:
        self.registered += 1


def test_bindings_wait_for_the_models() -> None:
    """Those defined before the models are there are registered once they are, later ones at once; each one once."""
    registry, early, late = Registry(), Binding(), Binding()
    registry.add(early)
    assert early.registered == 0
    registry.register_all()
    registry.register_all()
    registry.add(late)
    assert (early.registered, late.registered) == (1, 1)
