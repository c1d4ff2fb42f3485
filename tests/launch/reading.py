"""Commands taken apart: which program gets which words."""

from __future__ import annotations

from tests.launch.flags import words

from farthing.records.launch import Launch

SCRIPTS = {"pretrain_gpt.py": "megatron-lm"}


def programs(text: str) -> list[tuple[str, list[str]]]:
    """The programs of a command and their words, each by the name of its list of options."""
    found = words(text)[1]
    program, rest = found[0], found[1:]
    if program == "vllm":
        assert rest[0] == "serve"
        return [("vllm", rest[2:])]
    if program == "ray":
        assert rest[0] == "start"
        return [("ray-start", rest[1:])]
    if program == "python3":
        assert rest[:2] == ["-m", "sglang.launch_server"]
        return [("sglang", rest[2:])]
    if program == "mpirun":
        place = rest.index("trtllm-llmapi-launch")
        assert rest[place + 1] == "trtllm-serve"
        return [("mpirun", rest[:place]), ("trtllm-serve", rest[place + 3 :])]
    if program == "trtllm-serve":
        return [("trtllm-serve", rest[1:])]
    if program in ("llama-server", "rpc-server"):
        return [(program, rest)]
    if program == "deepspeed":
        place = rest.index("TRAIN.py")
        assert rest[place + 1 :] == ["--deepspeed", "--deepspeed_config", "ds_config.json"]
        return [("deepspeed", rest[:place])]
    assert program == "torchrun"
    if "pretrain_gpt.py" in rest:
        place = rest.index("pretrain_gpt.py")
        return [("torchrun", rest[:place]), ("megatron-lm", rest[place + 1 :])]
    place = rest.index("-m")
    assert rest[place:] == ["-m", "torchtitan.train", "--module", "farthing_run", "--config", "run"]
    return [("torchrun", rest[:place])]


def values(launch: Launch, program: str, command: int = 0) -> dict[str, str]:
    """Options of a program in a command by name, as the test of a meaning reads them; a switch is empty."""
    found: dict[str, str] = {}
    for name, rest in programs(launch.commands[command].text):
        if name != program:
            continue
        place = 0
        while place < len(rest):
            option, place = rest[place], place + 1
            taken = []
            while place < len(rest) and not rest[place].startswith("-"):
                taken.append(rest[place])
                place += 1
            found[option] = " ".join(taken)
    return found
