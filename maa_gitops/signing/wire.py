"""The wire format of SSH: strings and big numbers. Source: RFC 4251, section 5."""


def strings(data: bytes) -> list[bytes]:
    """Split data that is length-prefixed strings and nothing else."""
    found = []
    start = 0
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4])
        if end > len(data):
            raise ValueError("it is cut short")
        found.append(data[start + 4 : end])
        start = end
    return found


def string(data: bytes) -> bytes:
    """Write a string: its length and its bytes."""
    return len(data).to_bytes(4) + data


def mpint(data: bytes) -> int:
    """Read a number that is positive and in its one shortest form."""
    value = int.from_bytes(data)
    if value == 0 or data != value.to_bytes(value.bit_length() // 8 + 1):
        raise ValueError("it has a number that is not positive or not in canonical form")
    return value
