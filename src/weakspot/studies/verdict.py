"""Whether a claim holds: by all digits, or so far by those that were run."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from weakspot.studies.fauc import Fauc, digit_list
from weakspot.studies.mnist import DIGITS
from weakspot.studies.results import Results


class Verdict(NamedTuple):
    """Whether a claim holds, and what it was judged by.

    Attributes
    ----------
    holds : by what was run; None where that does not tell, ``final`` where no further run would
    final : no further run can change it, as far as it goes by the digits that were run
    evidence : in words
    """

    holds: bool | None
    final: bool = True
    evidence: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        if self.holds is None:
            return f"{'not decided' if self.final else 'partly run'} ({self.evidence})" if self.evidence else "not run"
        state = "holds" if self.holds else "does not hold"
        return f"{state}{'' if self.final else ' so far'}" + (f" ({self.evidence})" if self.evidence else "")


@dataclass(frozen=True)
class Claim:
    """One statement of sections 4.1 and 4.2.

    Attributes
    ----------
    section, text : where it is made, and what it says
    judge : FAUC, and all results (empty for the paper) -> verdict
    """

    section: str
    text: str
    judge: Callable[[Fauc, Results], Verdict]


def judge_each(
    better: Mapping[int, bool | None],
    ties: Collection[int] = (),
    partly: Collection[int] = (),
    most: bool = False,
    values: Mapping[int, str] | None = None,
) -> Verdict:
    """Judge a claim about each of some digits, or about most of them.

    Parameters
    ----------
    better : digit -> whether it holds there; None where not all that it is about was run, or where ties tell nothing
    ties : digits with equal values
    partly : digits where a part was run, which does not speak against it
    most : whether more than half of the digits will do
    values : digit -> what was compared there, in words, for those where it does not hold
    """
    run = [digit for digit, holds in better.items() if holds is not None]
    untold = [digit for digit, holds in better.items() if holds is None and digit in ties and digit not in partly]
    against = [digit for digit in run if not better[digit]]
    said = []
    if run:
        said = [f"{len(run)} of {len(better)} digits" + (f": {digit_list(run)}" if len(run) < len(better) else "")]
    if against:
        said.append(f"not for {_with(values, against) if values else digit_list(against)}")
    if ties:
        said.append(f"tied for {digit_list(ties)}")
    if partly:
        said.append(f"nothing against it so far for {digit_list(partly)}, run in part")
    evidence = "; ".join(said)
    all_run = len(run) + len(untold) == len(better)
    if not run:
        return Verdict(None, all_run, evidence)
    if most:
        holds = 2 * len(against) < len(run)
        decided = 2 * (len(run) - len(against)) > len(better) if holds else 2 * len(against) >= len(better)
    else:
        holds, decided = not against, bool(against)
    return Verdict(holds, decided or all_run, evidence)


def _with(values: Mapping[int, str], digits: Sequence[int]) -> str:
    return ", ".join(f"{digit} ({values[digit]})" for digit in digits)


def judge_mean(holds: bool, digits: Sequence[int], evidence: str) -> Verdict:
    """Judge a claim about the mean over all digits by the mean over those run."""
    final = len(digits) == len(DIGITS)
    over = f"mean of {len(digits)} of {len(DIGITS)} digits" + ("" if final else f": {digit_list(digits)}")
    return Verdict(holds, final, f"{evidence}; {over}")
