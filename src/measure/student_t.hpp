// Student's t law.
#pragma once

namespace perwatt::measure {

/// P(|T| <= t) for `freedom` degrees of freedom. REQUIRES: freedom >= 1, t >= 0.
[[nodiscard]] double student_t_inside(double t, int freedom);

/// The t with P(|T| <= t) = `probability`. REQUIRES: freedom >= 1, 0 < probability < 1 - 1e-9.
[[nodiscard]] double student_t_bound(double probability, int freedom);

}  // namespace perwatt::measure
