"""The guard: monitors with a promised rate of false alarms, and policies that act before a token is shown."""

__all__: list[str] = []
