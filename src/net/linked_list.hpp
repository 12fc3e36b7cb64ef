// A list through its elements: moving one to the back costs no search and no allocation.
#pragma once

namespace perwatt::net {

/// An element is in one list at most and takes itself out of it when it is destroyed.
class Link {
 public:
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  ~Link() { unlink(); }

  void unlink() {
    before_->after_ = after_;
    after_->before_ = before_;
    before_ = this;
    after_ = this;
  }

 private:
  template <class Element>
  friend class LinkedList;

  void link_before(Link& next) {
    unlink();
    before_ = next.before_;
    after_ = &next;
    before_->after_ = this;
    next.before_ = this;
  }

  Link* before_ = this;
  Link* after_ = this;
};

/// `Element` derives from Link. The list owns nothing.
template <class Element>
class LinkedList {
 public:
  [[nodiscard]] bool empty() const { return ends_.after_ == &ends_; }

  /// REQUIRES: !empty().
  [[nodiscard]] Element& front() const { return static_cast<Element&>(*ends_.after_); }

  /// REQUIRES: !empty().
  [[nodiscard]] Element& back() const { return static_cast<Element&>(*ends_.before_); }

  /// Takes the element out of the list it is in.
  void move_to_back(Element& element) { element.link_before(ends_); }

 private:
  Link ends_;
};

}  // namespace perwatt::net
