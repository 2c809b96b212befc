"""Business Unit: local cloud | Status: current.

The deployment to AWS rehearsed: the real SAM CLI deploys what `make deploy-dev` would, into the local cloud.
"""
