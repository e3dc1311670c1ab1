"""Verifies the checksums that BGZF, CRAM 3 and gzip carry inside, in parts that can be read independently.

`formats` recognises what can be verified, `plan` cuts an object into parts, `verifier` checks one part as a stream, and
`joining` turns the parts' results into a verdict. Only the verifier needs an inflate library.

A part says: *if* a unit begins at `first`, everything from there to `end` is an unbroken chain of sound units. Joining
proves the condition, part by part from the object's first byte, so a start that was guessed wrongly never decides.
"""
