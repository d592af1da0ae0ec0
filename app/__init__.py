"""The application: reads settings, chooses, wires objects together (`compose`), and offers the commands."""

__version__ = "0.1.0"
