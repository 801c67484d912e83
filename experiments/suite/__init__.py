"""The suite: many small tasks at one small budget, so that a cell can be placed among others in minutes."""
