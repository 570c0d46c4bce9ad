"""The verbs of a layer by what they are about; :class:`~channel_layers.base.BaseChannelLayer` has them all.

Where a verb is abstract, a backend has to say how; where it is not, what stands here is right for every backend, and a
twin for coroutines takes a thread. A backend that can wait without one has twins of its own.
"""
