"""The one exception of the stacks: a context that nothing may be synthesised with."""


class RefusedContextError(ValueError):
    """A context value that no stack may be synthesised with; the text is for the operator."""
