#!/bin/sh
# Stands in for a migration: a one-shot that takes a second and ends with 0.
echo "Running migrations:"
sleep 1
echo "  Applying shop.0003_orders... OK"
echo "migrations done"
