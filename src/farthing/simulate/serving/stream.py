from typing import NamedTuple
class Ask(NamedTuple):
    arrival_s: float
    prompt: int
    output: int
    written: int
    priority: int
    prefix: tuple[int, ...]
