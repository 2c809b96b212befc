"""Business Unit: legacy | Status: current.

The control as a reference lane: it keeps the legacy contract, warts included, so that the whole comparison can run where the
production control is not. It shares the contracts with the candidate and none of its logic: a mistake made once is not made in
both lanes. `publishing` sends a plan, `lane` executes one queue record. It is packaged in a layer of its own.
"""
