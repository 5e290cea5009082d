"""The gateway: an instrument that only its own Windows PC can reach, for a station on another computer.

`service` runs on the instrument's PC, with one of the `backends`; `driver` is what the station opens; `protocol` is
what passes between them. docs/gateway.md has it in words.
"""
