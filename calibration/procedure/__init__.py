"""How a sensor is calibrated at the bench, step by step: sans-I/O, so that it runs without instrument or clock.

`begin(plan, time)` makes a state; `advance(plan, state, sample)` says what follows from one sample of force and
resistance, `act(plan, state, deed, …)` what follows from a person's deed: the next state and the commands that lead
there. `situation(plan, state)` says in words and numbers where it is. A state is frozen and survives JSON unchanged.
"""

from calibration.procedure.advance import advance as advance
from calibration.procedure.advance import begin as begin
from calibration.procedure.advance import take_up as take_up
from calibration.procedure.deeds import Doing as Doing
from calibration.procedure.deeds import ProcedureError as ProcedureError
from calibration.procedure.deeds import act as act
from calibration.procedure.plan import Kind as Kind
from calibration.procedure.plan import Plan as Plan
from calibration.procedure.plan import Stability as Stability
from calibration.procedure.plan import Step as Step
from calibration.procedure.situation import Situation as Situation
from calibration.procedure.situation import situation as situation
from calibration.procedure.stages import Deed as Deed
from calibration.procedure.stages import Stage as Stage
from calibration.procedure.state import Command as Command
from calibration.procedure.state import Note as Note
from calibration.procedure.state import Reseat as Reseat
from calibration.procedure.state import Sample as Sample
from calibration.procedure.state import Say as Say
from calibration.procedure.state import SetForce as SetForce
from calibration.procedure.state import State as State
from calibration.procedure.state import Unload as Unload
