calls = 0


def count() -> int:
    global calls
    calls += 1
    return calls
