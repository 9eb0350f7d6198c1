"""The tools of a taxonomy for assistants, by the Model Context Protocol.

Belongs here: what tools take and give (`values`), what they do (`tools`), and how a server offers
them (`server`), which alone needs the SDK. What is asked is data: it is bounded, and never logged.
"""
