"""What most people would write, as a good tutorial shows it: the baselines of the claims."""
