"""One cloud over the ranks of a job: points split in fixed blocks, moments added up in their order."""
