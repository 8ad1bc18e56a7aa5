"""What only a build with Snakemake needs."""
