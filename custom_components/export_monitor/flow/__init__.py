"""The config flow's tables, the forms made of them, and the judgement of answers."""
