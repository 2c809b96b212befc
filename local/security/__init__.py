"""Business Unit: local cloud | Status: current.

What scanners say of the code and of the template, held against the list of what is as it is on purpose, and why.
"""
