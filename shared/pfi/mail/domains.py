"""Domains of senders, for whoever needs no mail to judge them."""


def within(domain: str, suffixes: tuple[str, ...]) -> bool:
    """True when one of the suffixes, with a leading dot, or of the whole names is the domain's."""
    lowered = [suffix.lower() for suffix in suffixes if suffix.strip(".")]
    return bool(domain) and any(
        domain.endswith(suffix) if suffix.startswith(".") else domain == suffix
        for suffix in lowered
    )
