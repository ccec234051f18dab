"""The words of the project: values only, no effects. Everything here may be imported from everywhere."""
