"""What others' packages may build on, under the name of the distribution."""
