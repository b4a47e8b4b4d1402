"""The dashboard's queries, run against a real Prometheus that scrapes a real Ray cluster while zoos are trained."""
