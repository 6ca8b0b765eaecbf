"""Who fetched what a message carries: a person, a proxy, a scanner, or nobody can say.

Decided a little after the fact, when all that came with a hit is in: a scanner is known by what
else it did. A hit is never deleted, and says which rule decided.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from crawleruseragents import is_crawler


class HitKind(StrEnum):
    """What was fetched."""

    OPEN = "open"
    CLICK = "click"
    TRAP = "trap"  # the link that no person sees


class HitClass(StrEnum):
    """Who fetched it."""

    HUMAN = "human"
    PROXY_PREFETCH = "proxy_prefetch"
    SCANNER = "scanner"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One fetch. `caller` stands for the network address, hashed."""

    at: datetime
    kind: HitKind
    method: str
    user_agent: str
    caller: bytes
    link: str | None = None


@dataclass(frozen=True, kw_only=True)
class HitPolicy:
    """The bounds by which machines are told from people."""

    prompt: timedelta = timedelta(seconds=3)  # nobody reads a letter so soon after its delivery
    burst: timedelta = timedelta(seconds=1)  # nobody follows several links within
    burst_links: int = 2
    near_trap: timedelta = timedelta(minutes=10)  # a caller who fell into the trap is one so long


@dataclass(frozen=True)
class Verdict:
    """The class of a hit, and the rule that decided it."""

    class_: HitClass
    rule: str


PROXIES = re.compile(r"GoogleImageProxy|YahooMailProxy|ggpht\.com|Outlook-iOS/proxy", re.IGNORECASE)
# Apple's proxy says nothing but this (MPP): a prefetch, or a person behind it; nobody can tell.
BARE = re.compile(r"^Mozilla/5\.0$")
SCANNERS = re.compile(
    r"Barracuda|Proofpoint|Mimecast|SafeLinks|Symantec|FireEye|Trend ?Micro|bot\b|python|curl|wget"
    r"|httpx|Go-http-client|Java/|HeadlessChrome|PhantomJS|okhttp|libwww",
    re.IGNORECASE,
)


def classify(
    hit: Hit, among: Sequence[Hit], *, accepted_at: datetime | None, policy: HitPolicy
) -> Verdict:
    """Who made `hit`, one of the hits `among` that the same message has had.

    `accepted_at`: when the provider took the letter; None while nobody knows.
    """
    signs = _signs(hit, among, accepted_at, policy)
    return next(signs, Verdict(HitClass.HUMAN, "no_sign_of_a_machine"))


def _signs(
    hit: Hit, among: Sequence[Hit], accepted_at: datetime | None, policy: HitPolicy
) -> Iterator[Verdict]:
    """What speaks against a person, the surest first."""
    if hit.kind is HitKind.TRAP:
        yield Verdict(HitClass.SCANNER, "hidden_link")
    if hit.method == "HEAD":
        yield Verdict(HitClass.SCANNER, "head_request")
    if by_name := _by_name(hit.user_agent):
        yield by_name
    if _fell_into_trap(hit, among, policy):
        yield Verdict(HitClass.SCANNER, "same_caller_as_hidden_link")
    if hit.kind is HitKind.CLICK and _links_at_once(hit, among, policy) >= policy.burst_links:
        yield Verdict(HitClass.SCANNER, "several_links_at_once")
    if accepted_at is not None and hit.at - accepted_at < policy.prompt:
        is_open = hit.kind is HitKind.OPEN
        machine = HitClass.PROXY_PREFETCH if is_open else HitClass.SCANNER
        yield Verdict(machine, "too_soon_after_delivery")
    if not hit.user_agent.strip():
        yield Verdict(HitClass.UNKNOWN, "no_user_agent")


@lru_cache(maxsize=4096)
def _by_name(user_agent: str) -> Verdict | None:
    if PROXIES.search(user_agent):
        return Verdict(HitClass.PROXY_PREFETCH, "known_proxy")
    if BARE.match(user_agent):
        return Verdict(HitClass.PROXY_PREFETCH, "says_nothing_but_mozilla")
    if SCANNERS.search(user_agent) or is_crawler(user_agent):
        return Verdict(HitClass.SCANNER, "known_machine")
    return None


def _fell_into_trap(hit: Hit, among: Collection[Hit], policy: HitPolicy) -> bool:
    return any(
        other.kind is HitKind.TRAP
        and other.caller == hit.caller
        and abs(other.at - hit.at) <= policy.near_trap
        for other in among
    )


def _links_at_once(hit: Hit, among: Collection[Hit], policy: HitPolicy) -> int:
    """How many different links were followed within the burst around `hit`, its own included."""
    return len(
        {
            other.link
            for other in among
            if other.kind is HitKind.CLICK and abs(other.at - hit.at) <= policy.burst
        }
    )
