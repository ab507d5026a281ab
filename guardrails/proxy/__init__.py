"""The proxy: OpenAI's and Anthropic's APIs in front of providers, every answer checked.

FastAPI, uvicorn and prometheus-client are imported in this package only, and only when it is used.
"""
