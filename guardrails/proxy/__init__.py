"""The proxy: OpenAI's and Anthropic's APIs in front of providers, every answer checked."""
