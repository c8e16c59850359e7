"""What an error of ccxt may be called, and what of it may be repeated: its messages hold signed addresses, so they are not."""

from logos_core.hookspecs import Category
from logos_core.wire import Answer


def silence(error: Exception) -> Category:
    """Return what kind of trouble left a request without an answer."""
    if _ours(error):
        return Category.PROGRAM
    return Category.TIMEOUT if "timeout" in type(error).__name__.lower() else Category.NETWORK


def name(error: Exception) -> str:
    """Return the error's class, its cause's class, and the text only where it is our own."""
    cause = f" from {type(error.__cause__).__name__}" if error.__cause__ else ""
    text = f": {error}" if _ours(error) else ""
    return f"{type(error).__name__}{cause}{text}"[:300]


def retry_after_s(answer: Answer) -> float | None:
    """Return the venue's advice when to ask again."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _ours(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in {"logos_core", "logos_ccxt"}
