"""Business Unit: local cloud | Status: current.

One machine plays AWS: an emulator in an environment of its own, the deployed template's own artefacts, and the template
itself. Everything here binds to loopback and uses made-up credentials.
"""
