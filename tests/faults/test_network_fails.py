"""What lies between the services and the brokers is slow."""

from tests.faults.faultproxy import Faults
from tests.faults.trial import Trial, row
from tests.faults.world import running_world

SLOW = Faults(delay_seconds=0.2, bytes_per_second=32_000)
BACKLOG_BYTES = 128 * 1024 * 1024


@row(
    17,
    "a slow broker",
    how="a proxy before it: 200 ms and 256 kbit/s each way, then none",
    heals_within_seconds=60,
)
def test_a_slow_broker_costs_latency_and_no_memory(trial: Trial):
    with running_world(behind_proxies=True) as own:
        here = trial.on(own)
        with here.load() as load:
            slow = own.proxies[0]
            slow.faults = SLOW
            load.await_more(500, timeout_seconds=120)
            grown = own.ingest.footprint()[0] - load.footprints[own.ingest][0]
            slow.heal()
        here.fired(delayed_chunks=slow.counters.delayed)
        assert grown < BACKLOG_BYTES, f"memory grew by {grown} bytes"
        here.holds(f"memory grew by {grown / 2**20:.0f} MiB")
        here.assert_whole(load)

        with own.ingest.running_as("--without", "ack_wait"), here.load() as control:
            own.proxies[0].faults = own.proxies[1].faults = own.proxies[2].faults = SLOW
            control.await_more(50)
            own.ingest.kill()
            for proxy in own.proxies:
                proxy.heal()
        here.assert_broken(control, "R1", without="the wait for acks")
