"""Business Unit: benchmarks | Status: current.

What is to be said where a target is missed: the measurement's meaning, what stands in the way, the right target. It is printed
only beside a row that missed.
"""

from __future__ import annotations

from collections.abc import Mapping

ANSWERS: Mapping[str, str] = {
    "B1": (
        "A call on loopback costs nothing but processor time, about 2 ms of it in botocore on either side. The control makes 25 "
        "such calls one after the other; the thread beside makes one, in the same interpreter and against the same emulator "
        "process, and the workflow that the intake then starts takes the emulator's processor as well. Without the intake and "
        "what it starts, and with a network, nothing is left that can be told from the spread, by the lines beside. Right "
        "target: 1.05 times with 10 ms of network, and no more than the bound of 50 ms anywhere."
    ),
    "B4": (
        "One pair of 50 trades costs about 20 ms of processor: 5 to read 240 KB of JSON into exact decimals, times and models, "
        "10 to 12 for about 50 checks a trade, the rest for its digest and for caches that 20,000 pairs do not fit. The judge "
        "in columns that was made for a million was a second judge, and two judges disagreed; it is gone, and this is its "
        "price. Where a policy weighs otherwise (severities, the register), every difference is weighed anew, by the line "
        "beside. A million trades are 190 years of this desk; `shadow rejudge --in-cloud` is for more. Right target: 240 s "
        "judged whole; a contract year where every pair needs the judge 2.2 s."
    ),
    "B5": (
        "The time is spread thin: by a sampled profile no function of ours takes more than a twelfth of it. Reading "
        "the evidence is a little over half: unpacking it, parsing the JSON that stands as text inside of JSON, "
        "DynamoDB's typed values (boto3's own reader), and 110 numbers a trade, each held against what a number may be. "
        "Judging is the rest, about 50 checks a trade. It was 5.1 to 5.6 times while there were fewer checks: every kind "
        "of difference that was added since has its price here. Letting the garbage collector rest gains nothing that can "
        "be measured. A pair takes a tenth of a second of a function's time, once a day. Right target: 8 times."
    ),
    "B6": (
        "To parse the events and keep them costs 1.55 times parsing them alone, because tens of megabytes of events no longer "
        "fit the processor's caches; they are kept because pages and iterations may come in any order. Reading each trade's "
        "result and holding it against its model, so that a field that changed upstream is named and not taken for a "
        "difference, makes up the rest. Letting the garbage collector rest, and building outcomes without validation, were "
        "tried and gain nothing that can be measured. It was 2.8 times on another processor. Right target: 3.5 times."
    ),
    "B7": (
        "The target was nearly reached while everything was compiled at each start: then boto3 alone cost 850 ms and a "
        "function 1,100. "
        "Now the layers carry bytecode, as Lambda's own boto3 does, and a start costs a quarter of that; boto3 gains most, so "
        "the ratio is worse and what is paid for is not. Every function needs boto3, pydantic and Powertools, which are "
        "prescribed, and these three alone cost more than 1.25 times boto3, by the line beside. What a function adds is "
        "mostly the building of pydantic models; those of the canonical outcome are no longer loaded by the candidate, and "
        "deferring the others (`defer_build`) was tried and saves a tenth. The comparator carries the whole of "
        "`shadow.compare` besides. Right target: 1.8 times the three libraries, 2.3 for the "
        "comparator."
    ),
    "B9": (
        "The comparator's function shares two cores with both lanes and the emulator; see the load above. Right target: "
        "unchanged."
    ),
    "B10": ("The functions share two cores with the emulator that schedules them; see the load above. Right target: unchanged."),
    "B12": (
        "No step of the reading looks at anything twice, and the calls made are the same number an event at every size. "
        "The longest history is held as tens of megabytes of parsed events, which the processor's caches do not hold, so "
        "an event of 25,000 costs up to a seventh more than one of 250; `json.loads` of a whole document of that size "
        "grows by 1.04 for the same reason. By margins, the collector goes through the lines of "
        "the index while they are read: 0.3 of 0.75 s at 20,000 pairs, a tenth at 4,000. Right target: 1.1, and the same number "
        "of calls an event."
    ),
}
