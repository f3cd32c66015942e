"""Disputes over settlements, from the ground they are raised on to the ruling: pure, judged by replay of records."""
