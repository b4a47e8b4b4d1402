"""Submit a job from this checkout, follow its log, and submit it again where its cluster is lost.

    python jobs/submit.py --address http://127.0.0.1:8265 -- python jobs/run.py CONFIG --out s3://BUCKET/RUN

Exit codes: the job's own; 143: it was stopped; 1: it was lost more often than --resubmit allows.
"""

import sys
from pathlib import Path

from zoo_pipeline.submitting import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parent, __doc__))
