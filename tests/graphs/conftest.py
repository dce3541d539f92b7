from read_here import in_a_process as in_a_process
from read_here import read_here as read_here
