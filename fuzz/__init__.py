"""Seeded, structure-aware fuzzing of what cnnlint reads: ONNX models, Keras archives and configurations.

An input is a pure function of its kind, a seed and a number, so every finding can be drawn again; mutators know the
structure that they damage, oracles know what must hold whatever the input is, and a watchdog ends what hangs.
`python -m fuzz --help` lists what can be asked for; docs/robustness.md says what is promised.
"""
