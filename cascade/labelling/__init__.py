"""The way from no labels to a pack: `cascade start`.

Belongs here: learning from a file's own answers, which rows to ask a person about, learning from a
few labels on top of what names say, what to expect of that, and the folder of it all. Does not: the
page on which people label (`review`), and fits of many labels (`training`).
"""
