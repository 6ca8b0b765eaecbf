"""Which buckets differ, and what is said about it."""

from shared.service.rebuild.catalog import Table
from shared.service.rebuild.comparison import Compared, Sums, differing, whole
from shared.service.rebuild.report import comparison_lines, difference_lines

ONE = Sums(rows=1, sum=5, xor=5)
ACCOUNT = whole(
    Table(
        name="account",
        columns=("account", "events"),
        given=("account", "events"),
        key=("account",),
        is_partitioned=False,
    )
)


def compared(*, differs: bool, only_live: tuple[str, ...] = ()) -> Compared:
    return Compared(
        relation=ACCOUNT,
        live_rows=1200,
        shadow_rows=1200,
        differs=differs,
        only_live=only_live,
        only_shadow=(),
    )


def test_equal_digests_differ_nowhere():
    assert differing({3: ONE}, {3: ONE}) == []


def test_a_bucket_that_one_side_lacks_differs():
    assert differing({3: ONE, 200: ONE}, {3: ONE}) == [200]
    assert differing({}, {3: ONE}) == [3]


def test_another_sum_count_or_exclusive_or_differs():
    for other in (ONE._replace(rows=2), ONE._replace(sum=6), ONE._replace(xor=6)):
        assert differing({0: ONE}, {0: other}) == [0]


def test_the_table_of_a_comparison_names_rows_and_outcome():
    _, line = comparison_lines([compared(differs=False)])

    assert line.split() == ["account", "1,200", "1,200", "equal"]


def test_rows_that_differ_are_shown_under_their_columns_and_cut():
    long = "(" + "x" * 400 + ")"

    head, shown = difference_lines([compared(differs=True, only_live=(long,))])

    assert head == "account (account, events):"
    assert shown.startswith("  only live:    (xxx")
    assert shown.endswith("x...")
    assert len(shown) < 330
