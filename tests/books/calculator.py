"""An independent calculator of revenue reports: slow, plain, and sharing no code with the service.

It is written from the text of the revenue contract alone. It knows what an account is worth at one
instant by looking at all its facts, and asks for that at every instant that matters. Facts are the
JSON objects as they were sent. Everything is exact.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

ZERO_DECIMAL = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"
THREE_DECIMAL = "BHD JOD KWD OMR TND"
TICK = timedelta(microseconds=1)
Fact = dict[str, Any]
Native = dict[str, Fraction]
Report = dict[str, Any]
Jump = tuple[datetime, str, str, Fraction]
Known = Fraction | int | None
CLASSES = ("new", "reactivation", "expansion", "contraction", "churn")


@cache
def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def number(text: object) -> Fraction:
    return Fraction(Decimal(str(text)))


def over(part: Known, whole: Known) -> Fraction | None:
    """P28: a ratio over nothing is null; so is one of what is not known."""
    if part is None or whole is None or whole == 0:
        return None
    return Fraction(part) / Fraction(whole)


def times(one: Known, other: Known) -> Fraction | None:
    return None if one is None or other is None else Fraction(one) * Fraction(other)


def month_after(month: str) -> str:
    year, number_ = int(month[:4]), int(month[5:])
    return f"{year + number_ // 12:04}-{number_ % 12 + 1:02}"


def month_before(month: str) -> str:
    year, number_ = int(month[:4]), int(month[5:])
    return f"{year - 1:04}-12" if number_ == 1 else f"{year:04}-{number_ - 1:02}"


def months_from_to(first: str, last: str) -> Iterator[str]:
    while first <= last:
        yield first
        first = month_after(first)


@cache
def month_begins(month: str, zone: str) -> datetime:
    """P20: the first instant whose local date is in the month, found by looking at the clock.

    Local midnight lies within 26 hours of the same midnight in UTC; the clock is read back from
    every guess, so that no rule of `datetime` about skipped and repeated hours is relied on.
    """
    tz = ZoneInfo(zone)
    midnight = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)
    low, high = midnight - timedelta(hours=26), midnight + timedelta(hours=26)
    while high - low > TICK:
        middle = low + (high - low) / 2
        if middle.astimezone(tz).strftime("%Y-%m") >= month:
            high = middle
        else:
            low = middle
    return high


def month_holding(at: datetime, zone: str) -> str:
    guess = at.astimezone(ZoneInfo(zone)).strftime("%Y-%m")
    for month in (month_before(guess), guess, month_after(guess)):
        if month_begins(month, zone) <= at < month_begins(month_after(month), zone):
            return month
    raise AssertionError(at)


class Calculator:
    """The reports of one workspace by the facts recorded up to `known_at`; all where it is None."""

    def __init__(
        self,
        sent: Iterable[Fact],
        *,
        zone: str,
        currency: str,
        margin: str | None = None,
        known_at: datetime | None = None,
    ) -> None:
        self.zone, self.currency = zone, currency
        self.margin = None if margin is None else number(margin)
        known = [f for f in sent if known_at is None or instant(f["recorded_at"]) <= known_at]
        self.duplicates = 0
        self.conflicts: list[tuple[str, str]] = []
        self.facts = self._that_count(known)
        self.states = [self.resolved(f) for f in self.facts if f["type"] == "subscription_state"]
        self.accounts = sorted({f["account"] for f in self.states})
        self._histories: dict[tuple[str, str], list[Fact]] = {}
        self._native: dict[tuple[str, datetime], Native] = {}
        self._jumps: dict[str, list[Jump]] = {}

    # --- which facts count: P22

    def _that_count(self, known: list[Fact]) -> list[Fact]:
        known = sorted(known, key=lambda f: instant(f["recorded_at"]))
        stands: dict[tuple[str, str], Fact] = {}
        seen: dict[tuple[str, str], list[Fact]] = {}
        for fact in known:
            name = (fact.get("source", "native"), fact["id"])
            content = {k: v for k, v in fact.items() if k != "recorded_at"}
            if name not in stands:
                stands[name], seen[name] = fact, [content]
            elif content in seen[name]:
                self.duplicates += 1
            else:
                seen[name].append(content)
                self.conflicts.append(name)
        removed = {
            (f.get("source", "native"), f["target"]) for f in stands.values() if f["type"] == "void"
        }
        return [f for name, f in stands.items() if f["type"] != "void" and name not in removed]

    # --- what a provider only named: the version told by the state's instant, else the first told

    def told(self, object_id: str, at: datetime) -> Fact | None:
        def since(f: Fact) -> datetime:
            return instant(f.get("effective_at") or f["recorded_at"])

        versions = sorted(
            (
                f
                for f in self.facts
                if f["type"] == "provider_object" and f["object_id"] == object_id
            ),
            key=lambda f: (since(f), f["id"]),
        )
        by_then = [f for f in versions if since(f) <= at]
        chosen = (by_then[-1:] or versions[:1])[0:1]
        return chosen[0]["object"] if chosen else None

    def resolved(self, state: Fact) -> Fact:
        """The state with what is known of the objects it names; what is not known is left out."""
        at = instant(state["effective_at"])
        discounts = [self._discount(each, state, at) for each in state.get("discounts") or ()]
        items = []
        for item in state["items"]:
            price: Fact = {}
            if isinstance(item.get("tiers"), dict):
                price = self.told(item["tiers"]["object_id"], at) or {"tiers": [{}]}
                price = {"tiers_mode": "volume", **price}
            items.append({**item, **price})
        return {**state, "items": items, "discounts": [each for each in discounts if each]}

    def _discount(self, discount: Fact, state: Fact, at: datetime) -> Fact | None:
        if "object_id" not in discount:
            return discount
        told = self.told(discount["object_id"], at)
        if told is None:
            return None
        coupon = told["source"]["coupon"]
        terms = {"duration": coupon["duration"]}
        for name in ("start", "end"):
            if name in told:
                terms[name] = datetime.fromtimestamp(told[name], UTC).isoformat()
        if coupon["percent_off"] is not None:
            return {**terms, "kind": "percent", "value": str(coupon["percent_off"])}
        if state["currency"] != "KRW":
            return None
        return {**terms, "kind": "amount", "value": str(coupon["amount_off"])}

    # --- what a subscription is worth: P01-P11, P26

    def history(self, account: str, subscription: str) -> list[Fact]:
        """Its snapshots in the order in which they take effect."""
        key = (account, subscription)
        if key not in self._histories:
            mine = [
                s
                for s in self.states
                if s["account"] == account and s["subscription"] == subscription
            ]
            self._histories[key] = sorted(
                mine, key=lambda s: (instant(s["effective_at"]), s.get("seq", 0), s["id"])
            )
        return self._histories[key]

    def subscription_worth(
        self, account: str, subscription: str, at: datetime
    ) -> tuple[str, Fraction]:
        """(currency, MRR in minor units of it) at `at`."""
        states = [
            s for s in self.history(account, subscription) if instant(s["effective_at"]) <= at
        ]
        if not states:
            return "", Fraction(0)
        state = states[-1]
        if not self._counts(account, subscription, states):
            return state["currency"], Fraction(0)
        if state.get("ends_at") and at >= instant(state["ends_at"]):
            return state["currency"], Fraction(0)
        pause = state.get("pause") or {"behavior": "none"}
        stops = pause["behavior"] in ("void", "mark_uncollectible")
        if stops and not (pause.get("resumes_at") and at >= instant(pause["resumes_at"])):
            return state["currency"], Fraction(0)
        return state["currency"], price(state, at)

    def _counts(self, account: str, subscription: str, states: list[Fact]) -> bool:
        state = states[-1]
        if state["status"] in ("active", "past_due"):
            return True
        if state["status"] != "trialing":
            return False
        # P04: what was it worth just before this state began?
        just_before = instant(state["effective_at"]) - TICK
        return self.subscription_worth(account, subscription, just_before)[1] > 0

    def native(self, account: str, at: datetime) -> Native:
        """What the account is worth at `at`, by currency (P15)."""
        key = (account, at)
        if key not in self._native:
            total: dict[str, Fraction] = {}
            for subscription in {s["subscription"] for s in self.states if s["account"] == account}:
                currency, mrr = self.subscription_worth(account, subscription, at)
                if mrr:
                    total[currency] = total.get(currency, Fraction(0)) + mrr
            self._native[key] = total
        return self._native[key]

    def instants(self, account: str) -> list[datetime]:
        """Every instant at which something of the account may change."""
        found = set()
        for state in self.states:
            if state["account"] != account:
                continue
            begins = instant(state["effective_at"])
            found.add(begins)
            pause = state.get("pause") or {}
            scheduled = [state.get("ends_at"), pause.get("resumes_at")]
            for discount in all_discounts(state):
                scheduled += [discount.get("start"), discount.get("end")]
            found |= {instant(text) for text in scheduled if text}
        return sorted(found)

    # --- rates: P16, P17

    def rate(self, currency: str, month: str) -> Fraction:
        if currency == self.currency:
            return Fraction(1)
        rates = [
            f
            for f in self.facts
            if f["type"] == "fx_rate" and f["currency"] == currency and f["month"] <= month
        ]
        if not rates:
            return Fraction(0)
        latest = max(rates, key=lambda f: (f["month"], instant(f["recorded_at"]), f["id"]))
        return number(latest["rate"]) * Fraction(10) ** (digits(self.currency) - digits(currency))

    def valued(self, native: Native, month: str) -> Fraction:
        return sum(
            (mrr * self.rate(currency, month) for currency, mrr in native.items()), Fraction(0)
        )

    # --- movements: P13-P16

    def jumps(self, account: str) -> list[Jump]:
        """(instant, month, class, amount in the reporting currency), in order of time."""
        if account not in self._jumps:
            found: list[Jump] = []
            paid = False
            for at in self.instants(account):
                month = month_holding(at, self.zone)
                was, now = self.native(account, at - TICK), self.native(account, at)
                before, after = self.valued(was, month), self.valued(now, month)
                if was != now and before != after:
                    change = after - before
                    found.append((at, month, called(was, now, paid, change), change))
                paid = paid or bool(now)
            self._jumps[account] = found
        return self._jumps[account]

    def first_paid(self, account: str) -> datetime | None:
        return next((at for at in self.instants(account) if self.native(account, at)), None)

    def movements(self, first: str, last: str) -> list[tuple[datetime, str, str, Fraction]]:
        """The movements of the months, revaluations among them: (at, account, type, amount)."""
        found = []
        for account in self.accounts:
            found += [
                (at, account, kind, amount)
                for at, month, kind, amount in self.jumps(account)
                if first <= month <= last
            ]
            for month in months_from_to(first, last):
                at = month_begins(month, self.zone)
                held = self.native(account, at - TICK)
                fx = self.valued(held, month) - self.valued(held, month_before(month))
                if fx:
                    found.append((at, account, "fx", fx))
        return sorted(found)

    # --- months: P18-P20, P25

    def ends(self, account: str, month: str) -> tuple[Native, Native]:
        """What it was worth just before the month, and just before the next."""
        begins, ends = month_begins(month, self.zone), month_begins(month_after(month), self.zone)
        return self.native(account, begins - TICK), self.native(account, ends - TICK)

    def month(self, month: str) -> Report:
        gross, net = dict.fromkeys(CLASSES, Fraction(0)), dict.fromkeys(CLASSES, Fraction(0))
        counts = dict.fromkeys(CLASSES, 0)
        start = revalued = end = kept = floor = Fraction(0)
        customers_start = customers_end = gone = 0
        for account in self.accounts:
            for _, of_month, kind, amount in self.jumps(account):
                if of_month == month:
                    gross[kind] += amount
            was, now = self.ends(account, month)
            before, after = self.valued(was, month), self.valued(now, month)
            start += self.valued(was, month_before(month))
            revalued += before
            end += after
            customers_start += bool(was)
            customers_end += bool(now)
            if was:
                kept += after
                floor += min(before, after)
                gone += not now
            if was or now:
                first = self.first_paid(account)
                paid = first is not None and first < month_begins(month, self.zone)
                if bool(was) != bool(now) or before != after:
                    kind = called(was, now, paid, after - before)
                    net[kind] += after - before
                    counts[kind] += 1
        ndr, grr, churn = over(kept, revalued), over(floor, revalued), over(gone, customers_start)
        arpa = over(end, customers_end)
        spend = self.spend(month)
        cac = over(spend, counts["new"])
        return {
            "mrr_start": start,
            "fx": revalued - start,
            "mrr_end": end,
            "net": net,
            "gross": gross,
            "customers_start": customers_start,
            "customers_end": customers_end,
            "customers_new": counts["new"],
            "customers_reactivated": counts["reactivation"],
            "customers_churned": counts["churn"],
            "ndr": ndr,
            "grr": grr,
            "logo_churn": churn,
            "net_revenue_churn": over(revalued - kept, revalued),
            "gross_revenue_churn": over(revalued - floor, revalued),
            "quick_ratio": over(
                net["new"] + net["reactivation"] + net["expansion"],
                -(net["contraction"] + net["churn"]),
            ),
            "arpa": arpa,
            "ltv": over(times(arpa, self.margin), churn),
            "cac": cac,
            "cac_payback_months": over(cac, times(over(net["new"], counts["new"]), self.margin)),
            "simple_customer_change": over(customers_start - customers_end, customers_start),
            "simple_revenue_change": over(revalued - end, revalued),
        }

    def spend(self, month: str) -> Fraction | None:
        stated = [
            f for f in self.facts if f["type"] == "sales_and_marketing" and f["month"] == month
        ]
        if not stated:
            return None
        return number(max(stated, key=lambda f: (instant(f["recorded_at"]), f["id"]))["amount"])

    # --- windows, points and cohorts: P19, P23 and P24

    def window(self, first: str, last: str) -> Report:
        base = retained = floor = Fraction(0)
        customers = gone = 0
        for account in self.accounts:
            was, now = self.ends(account, first)[0], self.ends(account, last)[1]
            if was:
                before, after = self.valued(was, last), self.valued(now, last)
                base, retained, floor = base + before, retained + after, floor + min(before, after)
                customers, gone = customers + 1, gone + (not now)
        return {
            "base": base,
            "retained": retained,
            "ndr": over(retained, base),
            "grr": over(floor, base),
            "logo_churn": over(gone, customers),
            "customers_start": customers,
        }

    def point(self, at: datetime) -> Report:
        month = month_holding(at, self.zone)
        mrr = cmrr = Fraction(0)
        for account in self.accounts:
            mrr += self.valued(self.native(account, at), month)
            last = max(self.instants(account))
            cmrr += self.valued(self.native(account, last), month)
        return {"mrr": mrr, "cmrr": cmrr}

    def cohorts(self, first: str, last: str) -> Report:
        members: dict[str, list[str]] = {}
        for account in self.accounts:
            at = self.first_paid(account)
            if at is not None and first <= month_holding(at, self.zone) <= last:
                members.setdefault(month_holding(at, self.zone), []).append(account)
        return {month: self._cohort(month, members[month], last) for month in sorted(members)}

    def _cohort(self, cohort: str, members: list[str], last: str) -> Report:
        starts = [(account, self.first_paid(account)) for account in members]
        base = [self.native(account, at) for account, at in starts if at is not None]
        rows, lost, at_risk = {}, 0, 0
        for month in months_from_to(cohort, last):
            ends = [self.ends(account, month) for account in members]
            mrr = sum((self.valued(now, month) for _, now in ends), Fraction(0))
            live = sum(bool(now) for _, now in ends)
            if month > cohort:
                at_risk += sum(bool(was) for was, _ in ends)
                lost += sum(bool(was) and not now for was, now in ends)
            rows[month] = {
                "customers": live,
                "mrr": mrr,
                "logo_retention": over(live, len(members)),
                "ndr": over(mrr, sum((self.valued(b, month) for b in base), Fraction(0))),
            }
        costs = [
            number(f["amount"])
            for f in self.facts
            if f["type"] == "acquisition_cost" and f["account"] in members
        ]
        return {
            "size": len(members),
            "base_mrr": sum((self.valued(b, cohort) for b in base), Fraction(0)),
            "rows": rows,
            "cac": over(sum(costs), len(members)) if costs else None,
            "nps": self._nps(members),
            "ltv": over(times(over(mrr, live), self.margin), over(lost, at_risk)),
        }

    def _nps(self, members: list[str]) -> Fraction | None:
        latest: dict[tuple[str, str], tuple[datetime, str, int]] = {}
        for answer in self.facts:
            if answer["type"] == "nps_response" and answer["account"] in members:
                who = (answer["account"], answer["respondent"])
                given = (instant(answer["effective_at"]), answer["id"], answer["score"])
                latest[who] = max(latest.get(who, given), given)
        scores = [score for *_, score in latest.values()]
        best, worst = sum(s >= 9 for s in scores), sum(s <= 6 for s in scores)
        return over(100 * (best - worst), len(scores))


def called(was: Native, now: Native, paid_earlier: object, change: Fraction) -> str:
    """P14, P15: what a change is called."""
    if not was:
        return "reactivation" if paid_earlier else "new"
    if not now:
        return "churn"
    return "expansion" if change > 0 else "contraction"


def digits(currency: str) -> int:
    """P17."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def all_discounts(state: Fact) -> Iterator[Fact]:
    yield from state.get("discounts") or ()
    for item in state["items"]:
        yield from item.get("discounts") or ()


def price(state: Fact, at: datetime) -> Fraction:
    """P01, P05-P08: what the items of a snapshot cost a month at `at`, in minor units."""
    worth = []
    for item in state["items"]:
        amount = of_period(item) * a_month(item)
        for discount in item.get("discounts") or ():
            if runs(discount, at):
                if discount["kind"] == "percent":
                    amount = amount * (100 - number(discount["value"])) / 100
                else:
                    amount = max(Fraction(0), amount - number(discount["value"]) * a_month(item))
        worth.append(amount)
    for discount in state.get("discounts") or ():
        total = sum(worth)
        if not runs(discount, at) or not total:
            continue
        if discount["kind"] == "percent":
            worth = [amount * (100 - number(discount["value"])) / 100 for amount in worth]
        else:
            shares = [number(discount["value"]) * amount / total for amount in worth]
            worth = [
                max(Fraction(0), amount - share * a_month(item))
                for amount, share, item in zip(worth, shares, state["items"], strict=True)
            ]
    net = Fraction(0)
    for amount, item in zip(worth, state["items"], strict=True):
        inclusive = item.get("tax_behavior") == "inclusive"
        net += amount / (1 + number(item["tax_percent"]) / 100) if inclusive else amount
    return net


def runs(discount: Fact, at: datetime) -> bool:
    """P05."""
    if discount["duration"] == "once":
        return False
    if discount.get("start") and at < instant(discount["start"]):
        return False
    return not (discount.get("end") and at >= instant(discount["end"]))


def a_month(item: Fact) -> Fraction:
    """P02."""
    count = item.get("interval_count", 1)
    return {
        "month": Fraction(1, count),
        "year": Fraction(1, 12 * count),
        "week": Fraction(52, 12 * count),
        "day": Fraction(365, 12 * count),
    }[item["interval"]]


def of_period(item: Fact) -> Fraction:
    """P06, P07: price times quantity of a billing period."""
    if item.get("usage_type") == "metered":
        return Fraction(0)
    units: int = item["quantity"]
    transform = item.get("transform_quantity")
    if transform:
        whole, rest = divmod(units, transform["divide_by"])
        units = whole + (1 if rest and transform["round"] == "up" else 0)
    if not item.get("tiers"):
        return number(item["unit_amount"]) * units
    if item["tiers_mode"] == "volume":
        for tier in item["tiers"]:
            if units and (tier.get("up_to") is None or units <= tier["up_to"]):
                each, flat = tier.get("unit_amount") or 0, tier.get("flat_amount") or 0
                return number(each) * units + number(flat)
        return Fraction(0)
    # Unit by unit: the first unit that falls into a tier also brings its flat fee.
    total = Fraction(0)
    reached: set[int] = set()
    for unit in range(1, units + 1):
        index = next(
            i
            for i, tier in enumerate(item["tiers"])
            if tier.get("up_to") is None or unit <= tier["up_to"]
        )
        tier = item["tiers"][index]
        total += number(tier.get("unit_amount") or 0)
        if index not in reached:
            reached.add(index)
            total += number(tier.get("flat_amount") or 0)
    return total
