"""The house's facts as rows on the wire, and back: each pair side by side, so that server and client share one truth.

`…_row` writes what our server sends; `read_…` after it reads what any server sent. Reading raises pydantic's
`ValidationError` (a `ValueError`) when a row lacks a fact that must be there, as a half-filled row is never completed
with a guess, or when a name in it could not be shown on a screen.
"""
