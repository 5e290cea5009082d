"""The running station: configuration, channels, sequencer, safety, store, service and command line."""
