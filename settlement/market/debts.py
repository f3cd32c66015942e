"""The sum that one party of a settlement owes the other by the rule: none, fixed, or by the price. Pure."""

from settlement.chain.scope import Window
from settlement.records.sizes import PPM


def amount_owed(form: str, amount: int, *, price: int, window: Window, from_ns: int) -> int:
    """Return the sum owed, rounded up, in the unit of the price.

    Args: form: none, fixed (`amount`), remaining (the price's share of the window after `from_ns`, UTC) or multiple
    (`amount` millionths of the price).
    """
    match form:
        case "fixed":
            return amount
        case "remaining":
            whole_ns = max(1, window.end_ns - window.start_ns)
            left_ns = max(0, window.end_ns - max(from_ns, window.start_ns))
            return -(-price * left_ns // whole_ns)
        case "multiple":
            return -(-price * amount // PPM)
        case _:
            return 0
