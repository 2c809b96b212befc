"""Business Unit: local cloud | Status: current.

A broker that answers like Alpaca, on this machine only: two accounts, prices and fills that follow from a seed and the
requests, and faults on request. It exists so that both lanes can be run, compared and broken without a real account.

`python -m local.broker_simulator` runs it as a process (`client.SimulatorClient` steers it over HTTP);
`BrokerSimulator` runs it in a thread. Both take the same orders (`controls`).
"""

from local.broker_simulator.server import BrokerSimulator

__all__ = ["BrokerSimulator"]
