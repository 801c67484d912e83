"""From words to a typed job: experiments, configurations, names of cells and rules, the machine."""
