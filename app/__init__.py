"""The application: reads settings, chooses, wires objects together (`compose`), and offers the commands."""
