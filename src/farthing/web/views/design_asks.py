"""The fields of the question which hardware to buy or to rent."""

from __future__ import annotations

from typing import Final, get_args

from farthing.records.design import Condition, DesignObjective, Site
from farthing.web.asks import Ask
from farthing.web.estimate_parts import MODEL_ASKS
from farthing.web.kinds import (
    count,
    flag,
    money_rate,
    name,
    number,
    or_word,
    repeated,
    seconds,
    several,
    text,
    tokens,
    word,
)

SERVING: Final = "For serving"
TRAINING: Final = "For training"
_LIMITS: Final = "Limits"
_PARTS: Final = "What may be used"
_MONEY: Final = "Owning and renting"
_SHOW: Final = "Search"

_USD: Final = number(0, 1e12, positive=True)
_PRICE: Final = text(
    r"[A-Za-z0-9][A-Za-z0-9._-]* ?= ?\$?\d{1,9}(\.\d{1,6})?", "a price; write it like rtx-4090=1500"
)

JOB_ASKS: Final = (
    Ask(
        name="task",
        title="For",
        text="What the hardware is for.",
        kind=word(("inference", "training")),
        flag="--for",
        default="inference",
    ),
    Ask(
        name="tokens_per_s",
        title="Tokens a second",
        text="Output tokens a second at the busiest hour.",
        kind=_USD,
    ),
    Ask(
        name="ttft_s",
        title="First token within",
        text="Longest mean time to the first token, e.g. 2s.",
        kind=seconds(),
        flag="--ttft",
    ),
    Ask(
        name="tpot_s",
        title="A token within",
        text="Longest mean time between two tokens, e.g. 50ms.",
        kind=seconds(),
        flag="--tpot",
    ),
    Ask(
        name="ways",
        title="Buy or rent",
        text="Only what is bought, only what is rented, or whichever is better.",
        kind=word(("either", "own", "rent"), {"either": "--either", "own": "--buy", "rent": "--rent"}),
        flag="",
        default="either",
    ),
    Ask(
        name="objective",
        title="Goal",
        text="What the best build is best in.",
        kind=word(get_args(DesignObjective)),
        default="usd, the cheapest tokens",
    ),
)

SERVING_ASKS: Final = (
    Ask(
        name="trough_share",
        title="Quietest hour",
        text="Demand of the quietest hour over that of the busiest; a sine in between.",
        kind=number(0, 1),
        flag="--trough",
        section=SERVING,
        default="1",
    ),
    Ask(
        name="prompt_tokens",
        title="Prompt",
        text="Tokens of one request's prompt.",
        kind=count(),
        flag="--prompt",
        section=SERVING,
        default="1024",
    ),
    Ask(
        name="output_tokens",
        title="Output",
        text="Tokens of one request's answer.",
        kind=count(0),
        flag="--output",
        section=SERVING,
        default="256",
    ),
    Ask(
        name="prefix_share",
        title="Cached prompt",
        text="Share of the prompt that is cached already.",
        kind=number(0, 1),
        section=SERVING,
        default="0",
    ),
    Ask(
        name="kv_format",
        title="KV cache",
        text="Number formats of the KV cache to choose from, with commas.",
        kind=several(name("formats")),
        flag="--kv",
        section=SERVING,
        default="fp16",
    ),
    Ask(
        name="front",
        title="Front",
        text="Two or three goals with commas: also the builds that none beats in all of these.",
        kind=several(word(get_args(DesignObjective)), always=True),
        section=SERVING,
    ),
)

TRAINING_ASKS: Final = (
    Ask(
        name="training_tokens",
        title="Tokens",
        text="Tokens to train on, e.g. 100B.",
        kind=tokens(),
        flag="--tokens",
        section=TRAINING,
    ),
    Ask(
        name="sequence_tokens",
        title="Sequence",
        text="Tokens of a training sequence.",
        kind=count(),
        flag="--sequence",
        section=TRAINING,
        default="the model's context, at most 4096",
    ),
    Ask(
        name="global_batch_size",
        title="Batch",
        text="Sequences of a training step.",
        kind=count(),
        flag="--batch",
        section=TRAINING,
        default="about 4M tokens",
    ),
    Ask(
        name="run_s",
        title="Within",
        text="Longest training run, e.g. 30d.",
        kind=seconds(),
        flag="--within",
        section=TRAINING,
    ),
    Ask(
        name="run_usd",
        title="USD a run",
        text="Dearest training run [USD].",
        kind=_USD,
        flag="--max-run-usd",
        section=TRAINING,
    ),
)

LIMIT_ASKS: Final = tuple(
    Ask(name=field, title=title, text=words, kind=kind, flag=option, section=_LIMITS, default=default)
    for field, title, words, kind, option, default in (
        ("capital_usd", "Capital", "Most money to buy it all [USD].", _USD, "--max-usd", ""),
        (
            "usd_per_s",
            "Money a time",
            "Most money for a time, everything counted: 12/h, 300/day or 9000/month [USD].",
            money_rate(),
            "--max-usd-per-hour",
            "",
        ),
        (
            "usd_per_million_tokens",
            "USD a million",
            "Most for a million tokens [USD].",
            _USD,
            "--usd-per-million",
            "",
        ),
        ("power_w", "Power", "Most power at the meter [W].", _USD, "--max-watts", ""),
        ("most_hosts", "Hosts", "Most hosts.", count(1, 4096), "--max-hosts", "64"),
        ("most_accelerators", "Cards", "Most accelerators.", count(), "--max-accelerators", ""),
    )
)

PART_ASKS: Final = (
    Ask(
        name="accelerators",
        title="Accelerators",
        text="Only these, with commas: ids, vendors or architectures.",
        kind=several(name("accelerators"), always=True),
        section=_PARTS,
        default="all with a price",
    ),
    Ask(
        name="measured",
        title="Measured",
        text="Only accelerators of generations whose kernels were measured.",
        kind=flag(),
        flag="--measured/",
        section=_PARTS,
        default="no",
    ),
    Ask(
        name="condition",
        title="Condition",
        text="New or used accelerators.",
        kind=word(get_args(Condition)),
        section=_PARTS,
        default="any",
    ),
    Ask(
        name="weight_format",
        title="Weights",
        text="Number formats of the weights to choose from, with commas.",
        kind=several(name("formats")),
        flag="--weights",
        section=_PARTS,
        default="the model's",
    ),
    Ask(
        name="engine",
        title="Engine",
        text="Engines to choose from, with commas.",
        kind=several(name("engines")),
        section=_PARTS,
        default="the usual one of each card",
    ),
    Ask(
        name="usd",
        title="Your prices",
        text="Of accelerators, parts or whole hosts, with commas: rtx-4090=1500; 0: you have it [USD].",
        kind=repeated(_PRICE),
        flag="--price",
        section=_PARTS,
        default="the catalogue's",
    ),
    Ask(
        name="usd_per_hour",
        title="Your rents",
        text="Of accelerators an hour, with commas: h100-sxm=2.1 [USD].",
        kind=repeated(_PRICE),
        flag="--rent-price",
        section=_PARTS,
        default="the catalogue's",
    ),
)

MONEY_ASKS: Final = (
    Ask(
        name="country",
        title="Country",
        text="Its price of electricity and household circuits, e.g. de.",
        kind=name(),
        section=_MONEY,
    ),
    Ask(
        name="site",
        title="Site",
        text="Where it stands; a data centre has rents, overheads and licences.",
        kind=word(get_args(Site)),
        section=_MONEY,
        default="home",
    ),
    Ask(
        name="years",
        title="Years",
        text="Until it is sold or written off.",
        kind=number(0, 100, positive=True),
        section=_MONEY,
        default="3",
    ),
    Ask(
        name="annual_interest",
        title="Interest",
        text="Of the money a year, 0.08 for 8%.",
        kind=number(0, 10),
        flag="--interest",
        section=_MONEY,
        default="0",
    ),
    Ask(
        name="usd_per_kwh",
        title="Electricity",
        text="Price of electricity [USD/kWh].",
        kind=number(0, 1e6),
        section=_MONEY,
        default="0.12, or the country's",
    ),
    Ask(
        name="pue",
        title="PUE",
        text="Power of the building over that of the machines.",
        kind=number(1, 10),
        section=_MONEY,
        default="1.2",
    ),
    Ask(
        name="residual_share",
        title="Resale",
        text="Share of the price that a sale brings then, or the word market: what used cards have fetched.",
        kind=or_word(number(0, 1), "market"),
        flag="--resale",
        section=_MONEY,
        default="0",
    ),
    Ask(
        name="usd_per_kw_month",
        title="Space",
        text="Rent of the space by power [USD/kW/month].",
        kind=number(0, 1e6),
        section=_MONEY,
        default="0; the usual one in a data centre",
    ),
    Ask(
        name="elastic",
        title="Elastic",
        text="Give rented machines back in quiet hours.",
        kind=flag(),
        flag="--elastic/",
        section=_MONEY,
        default="no",
    ),
)

SEARCH_ASKS: Final = (
    Ask(
        name="top",
        title="Builds",
        text="Builds that are compared, each of another card or way of paying.",
        kind=count(1, 100),
        section=_SHOW,
        default="10",
    ),
    Ask(
        name="ideal",
        title="Paper arithmetic",
        text="Every efficiency is 1.",
        kind=flag(),
        flag="--ideal/",
        section=_SHOW,
        default="no",
    ),
)

ASKS: Final = (
    *MODEL_ASKS[:1],
    *JOB_ASKS,
    *SERVING_ASKS,
    *MODEL_ASKS[1:],
    *TRAINING_ASKS,
    *LIMIT_ASKS,
    *PART_ASKS,
    *MONEY_ASKS,
    *SEARCH_ASKS,
)

OF_SERVING: Final = frozenset(("tokens_per_s", "ttft_s", "tpot_s", *(ask.name for ask in SERVING_ASKS)))
OF_TRAINING: Final = frozenset(ask.name for ask in TRAINING_ASKS)
"""Fields that mean nothing to the other task."""
