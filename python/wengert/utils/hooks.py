"""Handles that take a registered hook away again."""

import weakref


class RemovableHandle:
    """Removes the hook it was made for; also usable as a context manager.

    Example:
        >>> import wengert as wg
        >>> layer = wg.nn.Linear(2, 1)
        >>> handle = layer.register_forward_hook(lambda module, args, output: output * 0 + 1)
        >>> layer(wg.ones(1, 2)).item()
        1.0
        >>> handle.remove()
    """

    next_id = 0

    def __init__(self, hooks_dict, *, extra_dict=None):
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extra = extra_dict if isinstance(extra_dict, (list, tuple)) else (extra_dict,)
        self._dicts = tuple(weakref.ref(d) for d in (hooks_dict, *extra) if d is not None)

    def remove(self):
        """Take the hook away; a second call does nothing."""
        for ref in self._dicts:
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()
