"""Tests of agent/campaign."""
